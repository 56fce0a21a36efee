/** The suite of test/request/retry.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/retry.test.ts'
