/** The suite of test/request/connection-auth.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/connection-auth.test.ts'
