/** The suite of test/downstream/proxy.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/proxy.test.ts'
