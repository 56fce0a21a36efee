/** The suite of test/server/service-port.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../server/service-port.test.ts'
