/** The suite of test/request/forward.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/forward.test.ts'
