/** The suite of test/server/tls-front.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../server/tls-front.test.ts'
