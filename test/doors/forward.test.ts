/** The suite of test/proxy/forward.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/forward.test.ts'
