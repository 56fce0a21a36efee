/** The suite of test/conformance.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../conformance.test.ts'
