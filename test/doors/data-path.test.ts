/** The suite of test/downstream/data-path.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../downstream/data-path.test.ts'
