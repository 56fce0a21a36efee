/** The suite of test/ingress.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../ingress.test.ts'
