/** The suite of test/request/fairness.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../request/fairness.test.ts'
