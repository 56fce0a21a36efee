/** The suite of test/downstream/tls/tls-front.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/tls/tls-front.test.ts'
