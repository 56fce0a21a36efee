/** The suite of test/proxy/fairness.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/fairness.test.ts'
