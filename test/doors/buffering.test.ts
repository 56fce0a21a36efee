/** The suite of test/request/buffering.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/buffering.test.ts'
