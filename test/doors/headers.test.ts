/** The suite of test/request/headers.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/headers.test.ts'
