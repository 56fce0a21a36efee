/** The suite of test/request/client-address.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/client-address.test.ts'
