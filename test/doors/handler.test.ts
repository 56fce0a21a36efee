/** The suite of test/proxy/handler.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/handler.test.ts'
