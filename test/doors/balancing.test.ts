/** The suite of test/balancing.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../balancing.test.ts'
