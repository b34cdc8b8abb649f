"""Operations on forms that keep what depends on users apart from what depends on items."""
