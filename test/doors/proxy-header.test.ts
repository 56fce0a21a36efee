/** The suite of test/downstream/proxy-header.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/proxy-header.test.ts'
