/** The suite of test/gateway.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../gateway.test.ts'
