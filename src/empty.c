extern int empty_translation_unit;
int empty_translation_unit;
