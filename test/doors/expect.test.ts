/** The suite of test/proxy/expect.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/expect.test.ts'
