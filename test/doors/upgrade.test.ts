/** The suite of test/proxy/upgrade.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/upgrade.test.ts'
