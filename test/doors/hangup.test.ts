/** The suite of test/proxy/hangup.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/hangup.test.ts'
