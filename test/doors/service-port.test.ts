/** The suite of test/downstream/service-port.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/service-port.test.ts'
