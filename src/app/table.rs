//! Resource tables. IN PROGRESS in /work/wt/tables (helper `tables`, with the `:` prompt and the pickers): shell helper, leave the
//! full views (tables, prompt, context and namespace pickers) to it.
