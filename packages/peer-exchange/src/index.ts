/** The version of this package's wire table. */
export const VERSION = 1;
