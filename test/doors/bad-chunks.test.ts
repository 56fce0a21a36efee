/** The suite of test/proxy/bad-chunks.test.ts without the fast lane. */
import './without-fast-lane.ts'
import '../proxy/bad-chunks.test.ts'
