/** The suite of test/server/data-path.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../server/data-path.test.ts'
