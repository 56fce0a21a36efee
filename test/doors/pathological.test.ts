/** The suite of test/pathological.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../pathological.test.ts'
