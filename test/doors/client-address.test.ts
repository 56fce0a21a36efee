/** The suite of test/proxy/client-address.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/client-address.test.ts'
