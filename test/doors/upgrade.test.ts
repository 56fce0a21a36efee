/** The suite of test/request/upgrade.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/upgrade.test.ts'
