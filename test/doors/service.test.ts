/** The suite of test/service.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../service.test.ts'
