/** The suite of test/proxy/connection-auth.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/connection-auth.test.ts'
