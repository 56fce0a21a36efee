/** One upstream while it lives: picks an endpoint for each request. */
export {}
