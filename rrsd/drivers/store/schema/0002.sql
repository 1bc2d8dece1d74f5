-- How often something was used up for good: a file beside the database says the same, and a backup says less.
CREATE TABLE epoch (
    number INTEGER NOT NULL
);
INSERT INTO epoch (number) VALUES (0);
