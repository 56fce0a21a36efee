/** The suite of test/downstream/listener.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/listener.test.ts'
