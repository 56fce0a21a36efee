/** The suite of test/proxy/proxy.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/proxy.test.ts'
