/** The suite of test/server/proxy-header.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../server/proxy-header.test.ts'
