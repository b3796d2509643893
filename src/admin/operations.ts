import type { Operation } from './operation.ts';
import { healthOperations } from './operations/health.ts';
import { insightOperations } from './operations/insight.ts';
import { serviceOperations } from './operations/services.ts';
import { sharedSettingOperations } from './operations/shared-settings.ts';

/** All that the admin listener offers; its routes and its OpenAPI document are made of this. */
export const OPERATIONS: readonly Operation[] = [
  ...serviceOperations,
  ...sharedSettingOperations,
  ...insightOperations,
  ...healthOperations,
];
