/** The suite of test/proxy/retry.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/retry.test.ts'
