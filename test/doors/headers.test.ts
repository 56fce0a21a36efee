/** The suite of test/proxy/headers.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/headers.test.ts'
