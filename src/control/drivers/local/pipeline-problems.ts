/** Bytes of a pipeline's file that are looked at at all. */
export const LARGEST_PIPELINE = 1024 * 1024;
