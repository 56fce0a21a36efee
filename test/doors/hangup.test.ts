/** The suite of test/request/hangup.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/hangup.test.ts'
