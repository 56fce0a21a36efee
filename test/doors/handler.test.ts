/** The suite of test/request/handler.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/handler.test.ts'
