/** The suite of test/request/bad-chunks.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/bad-chunks.test.ts'
