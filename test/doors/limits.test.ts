/** The suite of test/request/limits.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/limits.test.ts'
