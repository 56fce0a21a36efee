/** The suite of test/request/expect.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/expect.test.ts'
