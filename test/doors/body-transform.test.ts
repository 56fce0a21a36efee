/** The suite of test/request/body-transform.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/body-transform.test.ts'
