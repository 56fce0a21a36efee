/** The suite of test/downstream/tls/tls-terminator.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/tls/tls-terminator.test.ts'
