/** The suite of test/proxy/limits.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/limits.test.ts'
