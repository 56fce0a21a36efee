/** The suite of test/server/listener.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../server/listener.test.ts'
