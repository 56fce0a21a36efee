/** Imported before a suite: its listeners read every request by node:http and Fastify. */
process.env.PORTICO_TEST_FAST_LANE = 'off'
