module example.org/orm

go 1.19

require (
	gorm.io/driver/postgres v1.5.7
	gorm.io/gorm v1.25.9
)
